import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The built files become package data of `emr_studio`; the edge serves `/assets/*` from there for ever.
export default defineConfig({
  plugins: [react()],
  base: "/",
  build: {
    outDir: "../packages/studio/src/emr_studio/console/static",
    emptyOutDir: true,
    target: "es2022",
    // No inlined data: URLs for scripts or styles: the page's policy allows only files of its own origin.
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: {
        // React changes rarely; Cloudscape splits by the pages that use it.
        codeSplitting: {
          groups: [{ name: "react", test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/ }],
        },
      },
    },
  },
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"] },
});
