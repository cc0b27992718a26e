"""CryoSTAR: results of its density generator, from its work folder."""
