/** Options of every command that can wait. */
export interface WaitOptions {
  wait?: boolean;
  /** ms */
  timeout: number;
}
