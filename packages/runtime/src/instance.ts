import { hostname } from 'node:os'

/** Names this process for operators: its host and its process id. */
export const INSTANCE = `${hostname()}:${process.pid}`
