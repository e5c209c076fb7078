import { Gauge, type Registry } from '@prometheus-io/client'
import { PAUSABLE } from './pausable.ts'
import type { PauseWatch } from './pause-watch.ts'

/** Registers which components are paused, as far as the process knows. */
export function registerPauses(registry: Registry, { inForce }: PauseWatch): void {
  new Gauge({
    name: 'cashflow_paused',
    help: '1 while an operator has paused all processes of a component.',
    labelNames: ['component'],
    registers: [registry],
    collect() {
      for (const component of PAUSABLE) this.set({ component }, Number(inForce(component) !== undefined))
    },
  })
}
