/** What a deployment is. In a sandbox no money may move. */
export type Mode = 'sandbox' | 'live'

export function modeOf(isSandbox: boolean): Mode {
  return isSandbox ? 'sandbox' : 'live'
}

const SETTING_OF: Readonly<Record<Mode, string>> = { sandbox: 'SANDBOX=yes', live: 'SANDBOX=no' }

/** Returns the reason why a process of one mode must not use a database of the other. */
export function differentMode(own: Mode, stored: Mode): string {
  return (
    `This process has ${SETTING_OF[own]}, but the database is ${stored === 'live' ? 'live' : 'a sandbox'} (${SETTING_OF[stored]}). ` +
    'Correct SANDBOX, or the address of the database. Only "npm run migrate -- --mode" changes what a database is.'
  )
}
