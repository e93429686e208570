//! Buildroot's rules for the text of files, as far as tests/buildroot/lint.py knows them: ours keep them, and a file that
//! does not is found out.

use crate::{files, python, root, text, tmp};
use std::path::PathBuf;

/// What is said about the files, without the count at the end.
fn lint(paths: &[PathBuf]) -> (bool, String) {
    let result = python("lint.py", paths);
    let code = result.status.code();
    assert!(matches!(code, Some(0 | 1)), "{}", text(&result.stderr));
    (code == Some(0), text(&result.stdout))
}

#[test]
fn our_files_keep_the_rules() {
    let (is_clean, said) = lint(&files(&root().join("board")));
    assert!(is_clean, "{said}");
}

const PACKAGE: &str = "\
################################################################################
#
# lamp-post
#
################################################################################

LAMP_POST_VERSION = 1.2
LAMP_POST_SITE = https://example.org/releases
LAMP_POST_DEPENDENCIES = host-candle
LAMP_POST_PROVIDES = light

LAMP_POST_OPTS = \\
	--tall \\
	--lit

ifeq ($(BR2_PACKAGE_OIL),y)
LAMP_POST_DEPENDENCIES += oil
else ifeq ($(BR2_PACKAGE_GAS),y)
LAMP_POST_OPTS += --gas
endif

define LAMP_POST_BUILD_CMDS
	# Any indent.
	$(MAKE) -C $(@D) $(LAMP_POST_OPTS) \\
		all
endef

define LAMP_POST_INSTALL_TARGET_CMDS
	for file in a b; do cp $$file $${TMP:-/tmp}; done
endef

$(eval $(generic-package))
";

const MENU: &str = "\
config BR2_PACKAGE_LAMP_POST
	bool \"lamp-post\"
	default y if BR2_NIGHT
	depends on BR2_STREET || \\
		BR2_LANE
	select BR2_PACKAGE_OIL
	help
	  It stands there, and in the evening it gives some of light.

	    indented is allowed further down
	  https://example.org/a/very/long/address/that/nobody/would/break/in/two

if BR2_PACKAGE_LAMP_POST

config BR2_PACKAGE_LAMP_POST_HEIGHT
	string \"height\"

endif
";

const HASHES: &str = "\
# Locally computed
sha256  e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  lamp-post-1.2.tar.gz
";

const CHOICES: &str = "BR2_arm=y\nBR2_DOWNLOAD_FORCE_CHECK_HASHES=y\n";

const FILES: [(&str, &str); 4] = [
    ("package/lamp-post/lamp-post.mk", PACKAGE),
    ("package/lamp-post/Config.in", MENU),
    ("package/lamp-post/lamp-post.hash", HASHES),
    ("configs/street_defconfig", CHOICES),
];

/// The rules that the file breaks.
fn broken_by(name: &str, content: &str) -> Vec<String> {
    let dir = tmp::TempDir::new();
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    let (_, said) = lint(&[path]);
    let mut rules: Vec<String> = said.lines().map(|line| line.split(": ").nth(1).unwrap().to_owned()).collect();
    rules.dedup();
    rules
}

#[test]
fn files_that_keep_the_rules_are_clean() {
    for (name, content) in FILES {
        assert_eq!(broken_by(name, content), Vec::<String>::new(), "{name}");
    }
}

/// One change to one of the files above, and the rule that it breaks.
const MISTAKES: [(usize, &str, &str, &str); 45] = [
    (0, "LAMP_POST_VERSION = 1.2\n", "LAMP_POST_VERSION = 1.2 \n", "blanks"),
    (0, "LAMP_POST_VERSION = 1.2\n", "LAMP_POST_VERSION = 1.2\n\n\n", "empty-lines"),
    (0, "$(eval $(generic-package))\n", "$(eval $(generic-package))", "last-line"),
    (0, "$(eval $(generic-package))\n", "$(eval $(generic-package))\n\n", "last-line"),
    (0, "# lamp-post\n", "# lamppost\n", "header"),
    (0, "#######\n#\n# lamp", "######\n#\n# lamp", "header"),
    (0, "#\n\nLAMP", "#\nLAMP", "header"),
    (0, "LAMP_POST_VERSION = 1.2", "# caf\u{e9}\nLAMP_POST_VERSION = 1.2", "ascii"),
    (0, "LAMP_POST_VERSION = 1.2", "LAMP_POST_VERSION=1.2", "assignment"),
    (0, "LAMP_POST_VERSION = 1.2", "LAMP_POST_VERSION =  1.2", "assignment"),
    (0, "LAMP_POST_DEPENDENCIES += oil", "LAMP_POST_DEPENDENCIES+= oil", "assignment"),
    (0, "	--tall", "    --tall", "indent"),
    (0, "	$(MAKE)", "        $(MAKE)", "indent"),
    (0, "LAMP_POST_DEPENDENCIES += oil", "	LAMP_POST_DEPENDENCIES += oil", "indent"),
    (0, "endif", "  endif", "indent"),
    (0, "--tall \\", "--tall  \\", "backslash"),
    (0, "--tall \\", "--tall	\\", "backslash"),
    (0, "	--lit\n", "	--lit \\\n", "backslash"),
    (0, "$(LAMP_POST_OPTS)", "${LAMP_POST_OPTS}", "braces"),
    (0, "ifeq ($(BR2_PACKAGE_OIL),y)", "ifdef BR2_PACKAGE_OIL", "ifdef"),
    (0, "else ifeq ($(BR2_PACKAGE_GAS),y)", "else ifndef BR2_PACKAGE_GAS", "ifdef"),
    (0, "LAMP_POST_SITE", "LAMPOST_SITE", "prefix"),
    (0, "define LAMP_POST_BUILD_CMDS", "define LAMP_BUILD_CMDS", "prefix"),
    (0, "LAMP_POST_PROVIDES = light", "LAMP_POST_INSTALL_STAGING = NO", "useless"),
    (0, "LAMP_POST_PROVIDES = light", "LAMP_POST_INSTALL_TARGET = YES", "useless"),
    (0, "LAMP_POST_PROVIDES = light", "LAMP_POST_SOURCE = lamp-post-$(LAMP_POST_VERSION).tar.gz", "default-source"),
    (0, "$(@D) $(LAMP_POST_OPTS)", "$(HOST_DIR)/usr/bin", "hostdir"),
    (0, "DEPENDENCIES += oil", "DEPENDENCIES = oil", "override"),
    (0, "LAMP_POST_OPTS += --gas", "LAMP_POST_OPTS = --gas", "override"),
    (0, "LAMP_POST_PROVIDES = light", "LAMP_POST_VERSION = 1.3", "override"),
    (1, "	bool \"lamp-post\"", "  bool \"lamp-post\"", "indent"),
    (1, "		BR2_LANE", "  BR2_LANE", "indent"),
    (1, "config BR2_PACKAGE_LAMP_POST_HEIGHT", "  config BR2_PACKAGE_LAMP_POST_HEIGHT", "indent"),
    (1, "	select BR2_PACKAGE_OIL\n	help", "	select BR2_PACKAGE_OIL\n	default y\n	help", "attributes"),
    (1, "	default y if BR2_NIGHT", "	default n", "default-n"),
    (1, "config BR2_PACKAGE_LAMP_POST_HEIGHT", "config BR2_A\n	bool\n\nconfig BR2_A\n	bool\n\nconfig BR2_B", "twice"),
    (1, "some of light", "some light that is so warm", "help"),
    (1, "	  It stands", "	    It stands", "help"),
    (1, "	  It stands", "	It stands", "help"),
    (2, "  lamp-post-1.2", " lamp-post-1.2", "separation"),
    (2, "  lamp-post-1.2.tar.gz", "", "fields"),
    (2, "sha256", "sha257", "hash"),
    (2, "e3b0", "e3b", "hash"),
    (2, "e3b0", "x3b0", "hash"),
    (3, "BR2_DOWNLOAD_FORCE_CHECK_HASHES=y", "BR2_DOWNLOAD_FORCE_CHECK_HASHES=n", "hashes-forced"),
];

#[test]
fn every_mistake_is_caught_and_called_what_it_is() {
    for (file, right, wrong, rule) in MISTAKES {
        let (name, content) = FILES[file];
        assert!(content.contains(right), "{right:?}");
        assert_eq!(broken_by(name, &content.replacen(right, wrong, 1)), [rule], "{right:?} as {wrong:?}");
    }
}

#[test]
fn a_file_that_can_be_executed_is_caught() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tmp::TempDir::new();
    let path = dir.path().join("lamp-post.mk");
    std::fs::write(&path, PACKAGE).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (is_clean, said) = lint(&[path]);
    assert!(!is_clean && said.contains(":0: mode: "), "{said}");
}

#[test]
fn the_file_that_includes_the_packages_has_no_header() {
    assert_eq!(broken_by("external.mk", "include $(BR2_EXTERNAL_STREET_PATH)/lamp-post.mk\n"), Vec::<String>::new());
}
