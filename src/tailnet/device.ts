/** A device of a tailnet, whoever runs the tailnet. */
export interface TailnetDevice {
  /** By which it is removed; it stays the same for as long as the device is in the tailnet. */
  id: string;
  /** By which the tailnet knows it, without the domain: `project-web`, or `project-web-1` where that was taken. */
  name: string;
  /** What the machine calls itself. */
  hostname: string;
  tags: string[];
  /** `nodekey:…`; another one after each new login. */
  nodeKey: string;
  addresses: string[];
}

/** The devices of one tailnet. All calls throw a UserError with the reason, and never show a credential. */
export interface TailnetDevices {
  list(): Promise<TailnetDevice[]>;
  /** Takes a device out of the tailnet. One that is not there is no error. */
  remove(id: string): Promise<void>;
}
