const ANSWER_MS = 2_000

/** GET of the management API of a broker of ours; undefined if there is no good answer now. */
export async function askManagement<Answer>(port: number, path: string): Promise<Answer | undefined> {
  const authorization = `Basic ${Buffer.from('guest:guest').toString('base64')}`
  try {
    const response = await fetch(`http://127.0.0.1:${port}/api${path}`, {
      headers: { authorization },
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    return response.ok ? ((await response.json()) as Answer) : undefined
  } catch {
    return undefined
  }
}
