"""cryoSPARC: results of its heterogeneity jobs, from their folders."""
