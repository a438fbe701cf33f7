dnl SPDX-License-Identifier: BSD-3-Clause
dnl The macros of configure.ac: dependencies, switches, directories.

dnl PMA_NEED(VARIABLE, pkg-config modules, Debian package)
dnl A dependency. When absent, $missing gets a line that says how to get it; configure ends after the last one.
AC_DEFUN([PMA_NEED], [
  PKG_CHECK_MODULES([$1], [$2], [], [missing="$missing
  $2 was not found: apt-get install $3"])])

dnl PMA_WANT(VARIABLE, pkg-config modules, Debian package, what for)
dnl The same for what we can do without: have_VARIABLE is yes or "no (how to get it)"; HAVE_VARIABLE in config.h.
AC_DEFUN([PMA_WANT], [
  PKG_CHECK_MODULES([$1], [$2],
    [have_$1=yes
     AC_DEFINE([HAVE_$1], [1], [$2 is there ($4)])],
    [have_$1="no (apt-get install $3)"])])

dnl PMA_SWITCH(name, help): enable_NAME is yes or no
AC_DEFUN([PMA_SWITCH], [
  AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [$2])], [], [enable_$1=no])])

dnl PMA_COMPILES(flag, if so, if not)
AC_DEFUN([PMA_COMPILES], [
  AC_MSG_CHECKING([whether $CC takes $1])
  saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $1"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [pma_takes=yes], [pma_takes=no])
  CFLAGS=$saved_CFLAGS
  AC_MSG_RESULT([$pma_takes])
  AS_IF([test $pma_takes = yes], [$2], [$3])])

dnl PMA_SYSTEM_DIR(variable, pkg-config module, its variable, fallback below prefix, suffix)
dnl --with-VARIABLE=DIR wins. A system prefix takes what the system says; any other prefix (a home directory,
dnl a packager's or distcheck's tree) keeps to itself, so that an installation never writes where it was not told to.
AC_DEFUN([PMA_SYSTEM_DIR], [
  AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1=DIR], [install there instead of the system's own place])], [$1=$withval], [
    $1=
    AS_CASE([$prefix], [NONE|/usr|/usr/local|/usr/], [$1=`$PKG_CONFIG --variable=$3 $2 2>/dev/null`])
    AS_IF([test -n "$$1"], [$1="$$1$5"], [$1='${prefix}/$4$5'])])
  AC_SUBST([$1])])
