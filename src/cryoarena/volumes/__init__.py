"""Maps: MRC files, masks, FSC, slicing and insertion. Arrays are [z, y, x] float32, origin at voxel D // 2."""
