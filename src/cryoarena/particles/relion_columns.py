"""The columns of RELION particle tables that CryoArena writes and reads."""

# RELION keeps it as text, in full; it cuts its integer rlnParticleId to 12 characters.
PARTICLE_ID = "rlnParticleName"
IMAGE_NAME = "rlnImageName"
OPTICS_GROUP = "rlnOpticsGroup"
OPTICS_NAME = "rlnOpticsGroupName"
# What RELION before 3.1 has in place of optics groups.
BEAM_TILT_CLASS = "rlnBeamTiltClass"
BEAM_TILT = ("rlnBeamTiltX", "rlnBeamTiltY")
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
CTF = {
    "defocus_u_A": "rlnDefocusU",
    "defocus_v_A": "rlnDefocusV",
    "defocus_azimuth_deg": "rlnDefocusAngle",
    "voltage_kV": "rlnVoltage",
    "cs_mm": "rlnSphericalAberration",
    "amplitude_contrast": "rlnAmplitudeContrast",
    "phase_shift_deg": "rlnPhaseShift",
    "b_factor_A2": "rlnCtfBfactor",
}
