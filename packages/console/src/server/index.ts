export type { Role } from '../answers.ts'
export { type AccessOptions, type ConsoleOptions, createConsole } from './console.ts'
