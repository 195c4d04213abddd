/** docs/reference/errors.md, from the one table of errors. */
import { ERRORS, GrpcStatus } from "../../src/base/errors.ts";
import type { ErrorRow } from "../../src/base/errors.ts";
import { GENERATED, table } from "./markdown.ts";

export function errorsPage(): string {
  const rows = Object.entries<ErrorRow>(ERRORS).map(([code, row]) => [
    `\`${code}\``,
    `${row.grpc} (${GrpcStatus[row.grpc]})`,
    String(row.exit),
    row.retry ? "yes" : "no",
    row.hint,
  ]);
  return `# Errors

${GENERATED("src/base/errors.ts")}

Every failure that a person or a program can meet has one of these codes. A CSI call answers with the gRPC status and, as its text, one
sentence that names the field, volume or node concerned, followed by the hint. A program that ends with an error exits with the number.
"Retry" says whether the same call can succeed later although nobody has changed anything.

${table(["Code", "gRPC status", "Exit", "Retry", "What to do"], rows)}
`;
}
