/** Failures of the Kubernetes API inside a call, as errors of the table. */
import { MeshStorError } from "../base/errors.ts";
import { asApiError } from "../kube/kube-error.ts";
import { WriteInDoubt } from "../kube/update.ts";

/** Runs `work`; what fails becomes an error of the table, with `what` (a clause: "reading volume pvc-1") in its sentence. */
export async function withApi<T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof MeshStorError) throw thrown;
    // A request that ends because the call ends is not the API server's failure.
    if (signal?.aborted && signal.reason instanceof MeshStorError) throw signal.reason;
    // Nobody knows whether it was written; the next call reads and goes on from there.
    if (thrown instanceof WriteInDoubt) throw new MeshStorError("ApiUnavailable", `${what}: ${thrown.message}`, { cause: thrown });
    throw asApiError(thrown, what);
  }
}
