//! Why a MAT file cannot be used.

/// Why a MAT file cannot be used: the end of a sentence that starts with the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatError {
    /// The header is none of a level 5 file.
    #[error("is not a MATLAB file (MAT, level 5)")]
    NotMat,
    /// MATLAB 7.3 writes HDF5.
    #[error("is a MATLAB 7.3 file, which is HDF5; save it again with `-v7`")]
    Hdf5,
    /// An element claims more bytes than there are.
    #[error("the MATLAB file is cut off or corrupt: an element is longer than what holds it; copy the file again")]
    CutOff,
    /// Something is not as the format says.
    #[error("the MATLAB file is corrupt: {0}; copy the file again")]
    Corrupt(&'static str),
    /// Compressed data that zlib does not understand or whose checksum is wrong.
    #[error("the MATLAB file is corrupt: its compressed data cannot be unpacked; copy the file again")]
    Zlib,
    /// More than the reader takes.
    #[error("the MATLAB file has more {what} than the {limit} that are read")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A well-formed file that holds something else.
    #[error("is not a mask of SBD: {0}; its masks are the files in `dataset/cls`")]
    NotGtcls(String),
}
