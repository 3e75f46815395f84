// Built files go into the hub's package, which serves them. Nothing is inlined: the hub's content policy allows only its own files.
export default {
  base: "./",
  build: {
    outDir: "../hub/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: "es2022",
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/connection": { target: "ws://127.0.0.1:8000", ws: true } },
  },
};
