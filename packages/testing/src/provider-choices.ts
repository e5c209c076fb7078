const MISSING = 'PROVIDER: must be http or simulated, and has no default with APP_ENV=production'
const MISSING_LIVE = 'PROVIDER: must be http, and has no default with SANDBOX=no'
const LIVE = 'SANDBOX: must be yes with PROVIDER=simulated'
const production = { APP_ENV: 'production' }

interface ProviderChoice {
  env: Readonly<Record<string, string>>
  provider?: 'simulated' | 'http'
  /** The line that refuses the settings. */
  problem?: string
}

/** Settings, and the provider that api and worker have to read from them alike. */
export const PROVIDER_CHOICES: readonly ProviderChoice[] = [
  { env: {}, provider: 'simulated' },
  { env: { SANDBOX: 'yes' }, provider: 'simulated' },
  { env: { PROVIDER: 'simulated' }, provider: 'simulated' },
  { env: { ...production, SANDBOX: 'yes', PROVIDER: 'simulated' }, provider: 'simulated' },
  { env: { PROVIDER: 'http' }, provider: 'http' },
  { env: { SANDBOX: 'no', PROVIDER: 'http' }, provider: 'http' },
  { env: { ...production, PROVIDER: 'http' }, provider: 'http' },
  { env: { ...production, SANDBOX: 'yes', PROVIDER: 'http' }, provider: 'http' },
  { env: production, problem: MISSING },
  { env: { ...production, SANDBOX: 'yes' }, problem: MISSING },
  { env: { ...production, SANDBOX: 'no' }, problem: MISSING },
  { env: { ...production, SANDBOX: 'yes', PROVIDER: '' }, problem: MISSING },
  { env: { SANDBOX: 'no' }, problem: MISSING_LIVE },
  { env: { SANDBOX: 'no', PROVIDER: 'simulated' }, problem: LIVE },
  { env: { ...production, PROVIDER: 'simulated' }, problem: LIVE },
  { env: { PROVIDER: 'Simulated' }, problem: 'PROVIDER: must be simulated or http' },
]
