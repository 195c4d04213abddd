import assert from "node:assert/strict";
import { test } from "node:test";
import { refusedOptions } from "./uml-kernel.ts";

test("a kernel configuration that differs from what was asked for is named line by line", () => {
  const wanted = "# a comment\nCONFIG_A=y\nCONFIG_B=y\nCONFIG_C=n\n# CONFIG_D is not set\n# CONFIG_E is not set\nCONFIG_N=18\n";
  const config = "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=y\nCONFIG_N=17\n";
  assert.deepEqual(refusedOptions(wanted, config), ["CONFIG_B=y", "# CONFIG_D is not set", "CONFIG_N=18"]);
});
