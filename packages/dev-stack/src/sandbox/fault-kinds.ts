/** The parts of a stack that can be broken. */
export const FAULT_PARTS = ['worker', 'relay', 'rabbitmq', 'postgresql'] as const

export type FaultPart = (typeof FAULT_PARTS)[number]
export type FaultKind = `${'kill' | 'freeze'}-${FaultPart}`

export const FAULT_KINDS = FAULT_PARTS.flatMap((part): FaultKind[] => [`kill-${part}`, `freeze-${part}`]) as [
  FaultKind,
  ...FaultKind[],
]

export function partOf(kind: FaultKind): FaultPart {
  return kind.slice(kind.indexOf('-') + 1) as FaultPart
}
