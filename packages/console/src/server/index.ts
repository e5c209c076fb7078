export type { Role } from '../answers.ts'
