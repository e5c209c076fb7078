import { join } from 'node:path'
import { runMigrations } from 'graphile-worker'
import type { Peer } from '../peer.ts'

export const TASK = 'publish'

export const graphileWorker: Peer = {
  name: 'graphile-worker',
  program: join(import.meta.dirname, 'main.ts'),
  async install(databaseUrl) {
    await runMigrations({ connectionString: databaseUrl })
    return {
      async enqueue(client, messages) {
        const specs = messages.map((payload) => ({ identifier: TASK, payload }))
        await client.query(
          `select from graphile_worker.add_jobs(array(
             select spec from json_populate_recordset(null::graphile_worker.job_spec, $1::json) as spec))`,
          [JSON.stringify(specs)],
        )
      },
      close: async () => {},
    }
  },
}
