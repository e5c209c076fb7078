import type { Logger } from '@cashflow/messaging'

/** The harness loses its connections all the time, as it should. */
export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} }
