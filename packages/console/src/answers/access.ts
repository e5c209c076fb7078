export type Role = 'read' | 'operate'

/** `GET /api/me` */
export interface Me {
  /** The operator's name, as the audit log has it. */
  readonly name: string
  readonly role: Role
  readonly sandbox: boolean
  /** True for the api of `npm start`, in a sandbox: it has the routes below `/api/sandbox`. */
  readonly sandbox_panel: boolean
  readonly version: string
  /** The end of the login. */
  readonly expires_at: string
}
