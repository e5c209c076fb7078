/** The URL on this machine of a server that listens on an address. */
export function localUrl(scheme: string, host: string, port: number): string {
  const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `${scheme}://${local.includes(':') ? `[${local}]` : local}:${port}`
}
