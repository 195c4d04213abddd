/**
 * Raw blocks of two members, gzip and base64: made by mdadm 4.4 on Linux 6.12.95 as md/create.ts does it
 * (100 MiB, chunks of 1 MiB); then the second member was failed and removed, and chunks 3, 4 and 78 were
 * written. First member's superblock and bitmap, second member's superblock.
 */
import { gunzipSync } from "node:zlib";

const block = (text: string): Buffer => gunzipSync(Buffer.from(text, "base64"));

export const SURVIVOR = block(
  "H4sIAAAAAAACA/vjp72SkYGBAYRBYOGmw1eefnMX7Ji5aveZu+/+J+ZVWpXl5+jmGjBgBWZyjNkMSPoZFJjhckxAzMFAAFhAaQ42CIVDWVrxrIdqc7Y+TrHzuO5tXmUJE3eB2s8O5f+HguIFl+MaGIgB/0c0YBgFo2AUjIJRMApGwSgYBaNgFIyCUTAiAADulGTBABAAAA==",
);
export const LEFT = block(
  "H4sIAAAAAAACA/vjp72SkYGBAYRBYOGmw1eefnMX7Ji5aveZu+/+J+ZVWpXl5+jmGjBgBWZyjNkMSPoZFJjhckxAzMFAAFhAaQ42CIUmDTM3saI14MC8UJXbJnJq8/dfrmZEsx8G/kPBXrUJ8xsYiAGMcD0jETCMglEwCkbBKBgFo2AUjIJRMApGwSgYEQAA1xX78wAQAAA=",
);
export const BITMAP = block("H4sIAAAAAAACA0vKLMllYWBgWLjp8JWn39wFO2au2n3m7rv/7AxoQIEZiSPAwMowPIAEjOHAwPDh/ygYBaNgFIyCUTAKRsEoGAWjYBSMglEwPAEAIOTA/QAQAAA=");
