import type { Tables } from '@cashflow/db'
import { readCharts } from '@cashflow/db/operator'
import { Router } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import { CHART_RANGES, type Charts } from '../answers.ts'
import { parsed } from './request.ts'

const query = z.object({ range: z.enum(CHART_RANGES) })

/** GET /charts: the numbers of the last 5 minutes, the last hour or the last day. */
export function chartRoutes(db: Kysely<Tables>): Router {
  return Router().get('/charts', async (req, res) => {
    res.json((await readCharts(db, parsed(query, req.query).range)) satisfies Charts)
  })
}
