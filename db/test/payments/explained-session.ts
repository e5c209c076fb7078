import { defined } from '@cashflow/async'
import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely'
import type { Database, Tables } from '../../src/index.ts'

/** A node of a plan, as EXPLAIN shows it in JSON. */
interface Node {
  readonly 'Node Type': string
  /** Of a scan of a table. */
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly Node[]
}

/** What a statement read. */
export interface Read {
  /** Names of the indexes. A table that is read otherwise has its node's type here. */
  readonly indexes: ReadonlySet<string>
  readonly rows: number
  /** The rows of each table. */
  readonly rowsOf: Readonly<Record<string, number>>
  readonly pages: number
  /** Time of its execution, with that of counting, in milliseconds. */
  readonly durationMs: number
}

/** Opens a session of its own, with the settings of the services, that tells what its last statement read. */
export async function openExplained(db: Database) {
  const session = await db.openSession('test')
  let reads: Read[] = []
  session.on('notice', ({ message = '' }) => {
    const [, duration, plan] = /^duration: (\S+) ms {2}plan:\n(.*)$/s.exec(message) ?? []
    if (plan) reads.push(toRead(JSON.parse(plan).Plan, Number(duration)))
  })
  // EXPLAIN would plan the statement again. This shows the plan that the session has kept, for the values that it got.
  await session.query(`load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;
    set auto_explain.log_timing = off; set auto_explain.log_buffers = on; set auto_explain.log_format = json;
    set auto_explain.log_level = warning`)
  const client = { query: session.query.bind(session), release() {} } as unknown as PostgresPoolClient
  /** What each statement that `execute` executes reads. */
  async function readsBy(execute: () => Promise<unknown>): Promise<readonly Read[]> {
    reads = []
    await execute()
    return reads
  }

  return {
    db: new Kysely<Tables>({
      dialect: new PostgresDialect({ pool: { options: {}, connect: async () => client, end: () => session.end() } }),
    }),
    /** What the last statement that `execute` executes reads. */
    async readBy(execute: () => Promise<unknown>): Promise<Read> {
      return defined((await readsBy(execute)).at(-1), 'the plan of a statement')
    },
    readsBy,
  }
}

function toRead(plan: Node, durationMs: number): Read {
  const scans = nodesOf(plan).filter((node) => node['Relation Name'] !== undefined)
  const rowsOf: Record<string, number> = {}
  for (const scan of scans) {
    const rows = (scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0)) * scan['Actual Loops']
    const table = scan['Relation Name'] ?? ''
    rowsOf[table] = (rowsOf[table] ?? 0) + rows
  }
  return {
    indexes: new Set(scans.map((scan) => scan['Index Name'] ?? scan['Node Type'])),
    rows: Object.values(rowsOf).reduce((sum, rows) => sum + rows, 0),
    rowsOf,
    pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
    durationMs,
  }
}

const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)]
