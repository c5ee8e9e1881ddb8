// One process a core, each on a port of its own: see ../peer.
export default {
  compress: false, // nginx is in front
  poweredByHeader: false,
  generateEtags: true,
  serverExternalPackages: ["ioredis", "pg"],
};
