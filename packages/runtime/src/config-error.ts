/** Names every variable that is wrong, and never shows a value: one of them may be a password. */
export class ConfigError extends Error {
  readonly code = 'config_invalid'

  /** @param faults one for each variable: its name, a colon, what is wrong */
  constructor(faults: readonly string[]) {
    super(['These settings are not usable:', ...faults].join('\n  '))
  }
}
