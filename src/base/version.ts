/** Version of the program; the same in the image, CSI and --version. */
export const VERSION = "0.1.0";
