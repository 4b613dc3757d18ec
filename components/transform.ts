import type * as pulumi from "@pulumi/pulumi";

/**
 * The way out for what a component's own arguments do not offer: a function that is given a child's arguments,
 * options and name just before the child is made, and changes them in place. Nothing is merged, so nothing that the
 * component set is lost unless the function takes it away.
 *
 * @example { domain: (args, opts) => { args.machine = "q35"; opts.protect = true; } }
 */
export type Transform<Args> = (args: Args, opts: pulumi.CustomResourceOptions, name: string) => void;

type ResourceOf<Args, Child> = new (name: string, args: Args, opts: pulumi.CustomResourceOptions) => Child;

/** A child just before it is made, by what is in its arguments and options then. */
interface Prepared<Args, Child> {
  args: Args;
  opts: pulumi.CustomResourceOptions;
  make: () => Child;
}

/**
 * Makes the children of one component: each is named `<component>-<role>`, has the component as its parent, and
 * passes through the transform of its role, if there is one.
 */
export class ChildFactory<Transforms extends object> {
  private readonly parent: pulumi.ComponentResource;
  private readonly parentName: string;
  private readonly transforms: Transforms | undefined;

  constructor(parent: pulumi.ComponentResource, parentName: string, transforms: Transforms | undefined) {
    this.parent = parent;
    this.parentName = parentName;
    this.transforms = transforms;
  }

  nameOf(role: string): string {
    return `${this.parentName}-${role}`;
  }

  create<Args, Child>(
    role: keyof Transforms & string,
    Resource: ResourceOf<Args, Child>,
    args: Args,
    opts: pulumi.CustomResourceOptions = {},
  ): Child {
    return this.prepare(role, Resource, args, opts).make();
  }

  /** The same in two steps, for what depends on all that the child is made from, the user's changes included. */
  prepare<Args, Child>(
    role: keyof Transforms & string,
    Resource: ResourceOf<Args, Child>,
    args: Args,
    opts: pulumi.CustomResourceOptions = {},
  ): Prepared<Args, Child> {
    const name = this.nameOf(role);
    const childOpts = { ...opts, parent: this.parent };
    const transform = this.transforms?.[role] as Transform<Args> | undefined;
    transform?.(args, childOpts, name);
    return { args, opts: childOpts, make: () => new Resource(name, args, childOpts) };
  }
}
