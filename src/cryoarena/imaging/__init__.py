"""The microscope: poses, CTF and noise turn atoms or maps into particle images."""
