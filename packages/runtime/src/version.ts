import manifest from '../package.json' with { type: 'json' }

/** Cashflow's version. All packages have the same. */
export const VERSION: string = manifest.version
