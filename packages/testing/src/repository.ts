import { resolve } from 'node:path'

/** The root folder of the checkout. */
export const REPOSITORY = resolve(import.meta.dirname, '../../..')
