/** Where devices with a model stand on PCI bus 0. */

/** The first slot that they have. */
const firstSlot = 4;
const slots = 16;

/** Device number of the nth device; its function is 0. */
export const slotOf = (number: number): number => firstSlot + (number % slots);
