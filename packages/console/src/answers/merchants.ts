export const SCOPES = ['payments:read', 'payments:write', 'webhooks:manage'] as const

export interface MerchantAnswer {
  readonly id: string
  readonly name: string
  readonly created_at: string
}

/** `GET /api/merchants?name=&after=`: those whose name begins with `name`, the oldest first, 100 at most. */
export interface MerchantsAnswer {
  readonly merchants: readonly MerchantAnswer[]
  readonly next: string | null
  /** Whether keys can be made: the api has `KEY_PEPPER`. */
  readonly can_make_keys: boolean
}

export interface KeyAnswer {
  readonly id: string
  readonly merchant_id: string
  readonly name: string
  readonly status: 'active' | 'expired' | 'revoked'
  readonly scopes: readonly string[]
  readonly created_at: string
  readonly expires_at: string | null
  readonly revoked_at: string | null
  readonly last_used_at: string | null
  /** The id of the key that rotation made of this one. */
  readonly replaced_by: string | null
}

/** `GET /api/merchants/:id/keys`: the oldest first. */
export interface KeysAnswer {
  readonly merchant: MerchantAnswer
  readonly keys: readonly KeyAnswer[]
  /** As in `MerchantsAnswer`. */
  readonly can_make_keys: boolean
}

/** The body of `POST /api/merchants`. Answers `MerchantAnswer`, or 409 if the name is taken. */
export interface NewMerchantBody {
  readonly name: string
}

/** The body of `POST /api/merchants/:id/keys`. Answers `NewKeyAnswer`. */
export interface NewKeyBody {
  readonly name: string
  readonly scopes: readonly (typeof SCOPES)[number][]
  /** Without it the key does not expire. */
  readonly expires_in_days?: number
}

/** The body of `POST /api/keys/:id/rotate`. Answers `NewKeyAnswer`. `POST /api/keys/:id/revoke` has no body. */
export interface RotateBody {
  /** Time for which both keys are valid. */
  readonly overlap_hours: number
}

export interface NewKeyAnswer {
  readonly key: KeyAnswer
  /** The whole key. It is shown once: it is not stored. */
  readonly secret: string
}
