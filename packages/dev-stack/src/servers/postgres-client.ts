import pg from 'pg'

/**
 * Opens a connection. A statement in flight rejects when the server ends. Between statements the server's end is an
 * `error` event of the client, and without a listener that event would end this process.
 */
export async function openClient(url: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ ...options, connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Opens a pool of such connections. The server's end is no error event of this process. */
export function openPool(url: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ ...options, connectionString: url })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Runs one statement on a connection of its own, and returns its rows. */
export async function query<Row extends object = Record<string, unknown>>(
  url: string,
  text: string,
  { values = [], ...options }: pg.ClientConfig & { values?: unknown[] } = {},
): Promise<Row[]> {
  const client = await openClient(url, options)
  try {
    return (await client.query<Row>(text, values)).rows
  } finally {
    await client.end()
  }
}
