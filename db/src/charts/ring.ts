/** Width of a slot, in milliseconds. */
export const SLOT_MS = 10_000
/** Slots of the ring: 24 hours. */
export const SLOTS = 8_640
