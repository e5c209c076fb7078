export type { Plan } from './arguments.ts'
export { FAULTS } from './faults/index.ts'
export { report } from './report.ts'
export { type Run, type RunOptions, runChaos } from './run.ts'
