/* See x509_crt.h. */
