import { freePort, isPortFree } from '../ports.ts'

/** The usual port where it is free; another, said aloud, where it is not. */
export async function choosePort(user: string, usual: number, say: (line: string) => void): Promise<number> {
  if (await isPortFree(usual)) return usual
  const port = await freePort()
  say(`port ${usual} is taken: ${user} uses ${port}`)
  return port
}
