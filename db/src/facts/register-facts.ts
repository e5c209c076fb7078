import { Counter, Gauge, type Registry } from '@prometheus-io/client'
import { FACT_GAUGES } from './fact-gauges.ts'
import type { Facts } from './facts.ts'
import { WITHIN_SECONDS } from './settled.ts'

/** Facts that are older are not shown: another process may see what changed since. */
const SHOWN_MS = 60_000

/**
 * Registers the facts of the database as metrics. A scrape shows what the last look found, and waits for nothing. Facts that
 * are older than a minute are left out, except their age.
 */
export function registerFacts(registry: Registry, facts: Facts): void {
  const registers = [registry]
  new Gauge({
    name: 'cashflow_db_facts_age_seconds',
    help: 'Time since the last look at the database that succeeded, or since the start of the process',
    registers,
    collect() {
      this.set(facts.ageMs / 1_000)
    },
  })
  for (const { name, help, labels = [], values } of FACT_GAUGES)
    new Gauge({
      name,
      help,
      labelNames: [...labels],
      registers,
      collect() {
        this.reset()
        if (labels.length === 0) this.remove({}) // `reset` has set it to 0.
        const shown = facts.last && facts.ageMs <= SHOWN_MS ? values(facts.last) : undefined
        for (const [own, value] of shown ?? []) this.set(own, value)
      },
    })
  registerTotals(registry, facts)
}

/** Registers what the process itself has counted. Their ratio is taken for each process, and then its maximum. */
function registerTotals(registry: Registry, facts: Facts): void {
  const registers = [registry]
  new Counter({
    name: 'cashflow_db_payments_created_total',
    help: 'Payments, counted 70 seconds after their creation, at most 10,000 a look',
    registers,
    collect() {
      this.reset()
      this.inc(facts.totals.created)
    },
  })
  new Counter({
    name: 'cashflow_db_payments_settled_total',
    help: 'Those of cashflow_db_payments_created_total that were settled within this many seconds of their creation',
    labelNames: ['within_seconds'],
    registers,
    collect() {
      this.reset()
      for (const seconds of WITHIN_SECONDS) this.inc({ within_seconds: seconds }, facts.totals.settled[seconds])
    },
  })
  new Gauge({
    name: 'cashflow_db_payments_created_capped',
    help: '1 if the last look left payments out of cashflow_db_payments_created_total',
    registers,
    collect() {
      this.set(Number(facts.totals.capped))
    },
  })
}
