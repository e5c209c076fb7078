/** What an operator can pause: all relays, or all workers. */
export const PAUSABLE = ['relay', 'worker'] as const

export type Pausable = (typeof PAUSABLE)[number]
