import type { StatusRow } from '../../answers.ts'

/** A row that needs attention, in parts. */
export interface Attention {
  readonly title: string
  readonly value: string
  /** Such as `over 30s`. Empty where the text names no threshold. */
  readonly limit: string
  readonly meaning: string
  /** The view in which the operator can act. */
  readonly link: { readonly href: string; readonly text: string } | null
}

export function attentionOf(row: StatusRow): Attention {
  const { section, label, value } = row
  const [, limit = '', meaning = row.over ?? ''] = /^(OVER [^:]+|GONE[^:.]*)[:.]\s*(.+)$/s.exec(row.over ?? '') ?? []
  return {
    title: `${capital(section)}: ${label}`,
    value,
    limit: limit.toLowerCase(),
    meaning: capital(meaning),
    link: linkOf(row),
  }
}

function linkOf({ section, label }: StatusRow): Attention['link'] {
  if (section === 'dead letters')
    return { href: `/dead-letters?${new URLSearchParams({ source: label })}`, text: 'Show the dead letters' }
  if (section !== 'payments') return null
  return label === 'parked'
    ? { href: '/payments?waiting_for=operator', text: 'Show the parked payments' }
    : { href: '/payments?status=PENDING', text: 'Show the pending payments' }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
