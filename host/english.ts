/**
 * The locale of programs whose output we read: messages in English, for some are looked for, and names as they are. In plain `C`
 * virsh's tables have `\xff` for each byte beyond ASCII.
 */
export const english = { LC_ALL: "C.UTF-8", LANGUAGE: "" };
