/** `none`: no answer came, or not in time. */
export type Answer = { readonly at: number; readonly status: number | 'none'; readonly paymentId?: string }

/** One payment as its client knows it. */
export interface Wish {
  readonly reference: string
  readonly amountMinor: number
  readonly currency: string
  /** To each time it was sent, in order; `at` in milliseconds since 1970. */
  readonly answers: readonly Answer[]
  /** What each GET has shown. One that was not answered, or with 503, shows nothing and is not here unless it is a last one. */
  readonly views: readonly View[]
}

export interface View {
  /** When it was asked for, in milliseconds since 1970. */
  readonly at: number
  readonly answeredAt: number
  readonly status: Answer['status']
  /** With a 200. */
  readonly payment?: Shown
  /** Made when all was over. */
  readonly isLast: boolean
}

/** Whatever the members of an answer held. */
export type Shown = Readonly<Record<'id' | 'status' | 'amount' | 'currency' | 'reference', unknown>>

/** Under way. */
export interface Draft extends Wish {
  readonly answers: Answer[]
  readonly views: View[]
}

export function idOf(wish: Wish): string | undefined {
  return wish.answers.find(({ paymentId }) => paymentId !== undefined)?.paymentId
}
