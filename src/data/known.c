/* The table of known sets. Its figures are facts published elsewhere:
 *   - sizes and SHA-256: TensorFlow Datasets, tensorflow_datasets/url_checksums/;
 *   - MD5: torchvision, torchvision/datasets/, and Fashion-MNIST's README;
 *   - counts: home pages and papers, for EMNIST and LSUN TensorFlow Datasets' catalogue.
 *
 * MNIST's and Fashion-MNIST's were compared with the files themselves. Where a home page
 * speaks plain HTTP, the same address is tried with TLS first; either way it is the
 * digest that decides. */
#include "data/known.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FILES(array) .files = (array), .n_files = COUNT(array)

/* ---- files ------------------------------------------------------------------- */

#define MNIST_URLS(name)                                                                 \
    {                                                                                    \
        "https://ossci-datasets.s3.amazonaws.com/mnist/" name,                           \
            "https://storage.googleapis.com/cvdf-datasets/mnist/" name                   \
    }

static const lm_known_file mnist_files[] = {
    {.name = "train-images-idx3-ubyte.gz",
     .urls = MNIST_URLS("train-images-idx3-ubyte.gz"),
     .bytes = 9912422,
     .sha256 = "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
     .md5 = "f68b3c2dcbeaaa9fbdd348bbdeb94873"},
    {.name = "train-labels-idx1-ubyte.gz",
     .urls = MNIST_URLS("train-labels-idx1-ubyte.gz"),
     .bytes = 28881,
     .sha256 = "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
     .md5 = "d53e105ee54ea40749a09fcbcd1e9432"},
    {.name = "t10k-images-idx3-ubyte.gz",
     .urls = MNIST_URLS("t10k-images-idx3-ubyte.gz"),
     .bytes = 1648877,
     .sha256 = "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
     .md5 = "9fb629c4189551a2d022fa330f9573f3"},
    {.name = "t10k-labels-idx1-ubyte.gz",
     .urls = MNIST_URLS("t10k-labels-idx1-ubyte.gz"),
     .bytes = 4542,
     .sha256 = "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
     .md5 = "ec29112dd5afa0611ce80d1b7f02629c"},
};

#define FASHION_URLS(name)                                                               \
    {                                                                                    \
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/"              \
        "fashion/" name,                                                                 \
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" name           \
    }

static const lm_known_file fashion_files[] = {
    {.name = "train-images-idx3-ubyte.gz",
     .urls = FASHION_URLS("train-images-idx3-ubyte.gz"),
     .bytes = 26421880,
     .sha256 = "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
     .md5 = "8d4fb7e6c68d591d4c3dfef9ec88bf0d"},
    {.name = "train-labels-idx1-ubyte.gz",
     .urls = FASHION_URLS("train-labels-idx1-ubyte.gz"),
     .bytes = 29515,
     .sha256 = "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
     .md5 = "25c81989df183df01b3e8a0aad5dffbe"},
    {.name = "t10k-images-idx3-ubyte.gz",
     .urls = FASHION_URLS("t10k-images-idx3-ubyte.gz"),
     .bytes = 4422102,
     .sha256 = "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
     .md5 = "bef4ecab320f06d8554ea6380940ec79"},
    {.name = "t10k-labels-idx1-ubyte.gz",
     .urls = FASHION_URLS("t10k-labels-idx1-ubyte.gz"),
     .bytes = 5148,
     .sha256 = "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
     .md5 = "bb300cfdad3c16e7a12a480ee83cd310"},
};

#define KMNIST_URLS(name)                                                                \
    {                                                                                    \
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/" name,                           \
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/" name                         \
    }

static const lm_known_file kmnist_files[] = {
    {.name = "train-images-idx3-ubyte.gz",
     .urls = KMNIST_URLS("train-images-idx3-ubyte.gz"),
     .bytes = 18165135,
     .sha256 = "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
     .md5 = "bdb82020997e1d708af4cf47b453dcf7"},
    {.name = "train-labels-idx1-ubyte.gz",
     .urls = KMNIST_URLS("train-labels-idx1-ubyte.gz"),
     .bytes = 29497,
     .sha256 = "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
     .md5 = "e144d726b3acfaa3e44228e80efcd344"},
    {.name = "t10k-images-idx3-ubyte.gz",
     .urls = KMNIST_URLS("t10k-images-idx3-ubyte.gz"),
     .bytes = 3041136,
     .sha256 = "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
     .md5 = "5c965bf0a639b31b8f53240b1b52f4d7"},
    {.name = "t10k-labels-idx1-ubyte.gz",
     .urls = KMNIST_URLS("t10k-labels-idx1-ubyte.gz"),
     .bytes = 5120,
     .sha256 = "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
     .md5 = "7320c461ea6c1c855c0b718fb2a4b134"},
};

/* Its name alone is that of the first. */
static const char *const emnist_parts[] = {"byclass", "bymerge", "balanced", "letters",
                                           "digits",  "mnist",   NULL};

static const lm_known_file emnist_files[] = {
    {.name = "gzip.zip",
     .urls = {"https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
              "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip"},
     .bytes = 561753746,
     .sha256 = "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
     .md5 = "58c8d27c78d21e728a6bc7b3cc06412e"},
};

static const lm_known_file cifar10_files[] = {
    {.name = "cifar-10-binary.tar.gz",
     .urls = {"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
     .bytes = 170052171,
     .sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
};

static const lm_known_file cifar100_files[] = {
    {.name = "cifar-100-binary.tar.gz",
     .urls = {"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"},
     .bytes = 168513733,
     .sha256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"},
};

static const lm_known_file stl10_files[] = {
    {.name = "stl10_binary.tar.gz",
     .urls = {"https://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
              "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"},
     .bytes = 2640397119,
     .sha256 = "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
     .md5 = "91f7769df0f17e558f3565bffb0c7dfb",
     .unpack = "stl10_binary"},
};

#define SVHN_URLS(name)                                                                  \
    {                                                                                    \
        "https://ufldl.stanford.edu/housenumbers/" name,                                 \
            "http://ufldl.stanford.edu/housenumbers/" name                               \
    }

static const lm_known_file svhn_files[] = {
    {.name = "train_32x32.mat",
     .urls = SVHN_URLS("train_32x32.mat"),
     .bytes = 182040794,
     .sha256 = "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
     .md5 = "e26dedcc434d2e4c54c9b2d4a06d8373"},
    {.name = "test_32x32.mat",
     .urls = SVHN_URLS("test_32x32.mat"),
     .bytes = 64275384,
     .sha256 = "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
     .md5 = "eb5a983be6a315427106f1b164d9cef3"},
    {.name = "extra_32x32.mat",
     .urls = SVHN_URLS("extra_32x32.mat"),
     .bytes = 1329278602,
     .sha256 = "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3",
     .md5 = "a93ce644f1a588dc4d68dda5feec44a7"},
};

#define LIBSVM_URL "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"

static const lm_known_file usps_files[] = {
    {.name = "usps.bz2",
     .urls = {LIBSVM_URL "usps.bz2"},
     .md5 = "ec16c51db3855ca6c91edd34d0e9b197"},
    {.name = "usps.t.bz2",
     .urls = {LIBSVM_URL "usps.t.bz2"},
     .md5 = "8ea070ee2aca1ac39742fdd1ef5ed118"},
};

static const lm_known_file mnist_m_files[] = {{.name = "mnist_m.tar.gz"}};

static const lm_known_file celeba_files[] = {
    {.name = "img_align_celeba.zip",
     .bytes = 1443490838,
     .sha256 = "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
     .md5 = "00d2c5bc6d35e252742224ab0c1e8fcb"},
    {.name = "list_attr_celeba.txt",
     .bytes = 26721026,
     .sha256 = "f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0",
     .md5 = "75e246fa4810816ffd6ee81facbd244c"},
    {.name = "list_eval_partition.txt",
     .bytes = 2836386,
     .sha256 = "fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7",
     .md5 = "d32c9cbf5e040fd4025c592c306e6668"},
};

#define LSUN_URLS(name)                                                                  \
    { "https://dl.yf.io/lsun/scenes/" name, "http://dl.yf.io/lsun/scenes/" name }

static const lm_known_file church_files[] = {
    {.name = "church_outdoor_train_lmdb.zip",
     .urls = LSUN_URLS("church_outdoor_train_lmdb.zip"),
     .bytes = 2448463466,
     .sha256 = "91128ae026840ac0c5982b4445ab5fc4e092d6847cca76793b2b1a0815c2e74a",
     .unpack = "church_outdoor_train_lmdb"},
    {.name = "church_outdoor_val_lmdb.zip",
     .urls = LSUN_URLS("church_outdoor_val_lmdb.zip"),
     .bytes = 5957308,
     .sha256 = "34635b7547a3e51a15f942a4a4082dd6bc9cca381a953515cb2275c0eed50584",
     .unpack = "church_outdoor_val_lmdb"},
};

static const lm_known_file bedroom_files[] = {
    {.name = "bedroom_train_lmdb.zip",
     .urls = LSUN_URLS("bedroom_train_lmdb.zip"),
     .bytes = 45922737680,
     .sha256 = "a15644c2e7153106867f0adb3491fc41224102d1f01b24494fb47d9f5d1f174e",
     .unpack = "bedroom_train_lmdb"},
    {.name = "bedroom_val_lmdb.zip",
     .urls = LSUN_URLS("bedroom_val_lmdb.zip"),
     .bytes = 4670661,
     .sha256 = "5d022e781b241c25ec2e1f1f769afcdb8091d7fd58362667aec03137b8114b12",
     .unpack = "bedroom_val_lmdb"},
};

/* ---- sets -------------------------------------------------------------------- */

#define IMAGES(train, test)                                                              \
    .images = {[LM_SPLIT_TRAIN] = (train), [LM_SPLIT_TEST] = (test)}
#define SIZE(w, h, c) .width = (w), .height = (h), .channels = (c)

const lm_known_set lm_known_sets[] = {
    {.name = "mnist",
     .title = "MNIST",
     .about = "handwritten digits",
     IMAGES(60000, 10000),
     SIZE(28, 28, 1),
     .classes = 10,
     .terms = "CC BY-SA 3.0",
     .home = "http://yann.lecun.com/exdb/mnist/",
     FILES(mnist_files)},
    {.name = "fashion-mnist",
     .title = "Fashion-MNIST",
     .about = "articles of clothing",
     IMAGES(60000, 10000),
     SIZE(28, 28, 1),
     .classes = 10,
     .terms = "MIT",
     .home = "https://github.com/zalandoresearch/fashion-mnist",
     FILES(fashion_files)},
    {.name = "kmnist",
     .title = "Kuzushiji-MNIST",
     .about = "cursive Japanese characters",
     IMAGES(60000, 10000),
     SIZE(28, 28, 1),
     .classes = 10,
     .terms = "CC BY-SA 4.0",
     .home = "http://codh.rois.ac.jp/kmnist/",
     FILES(kmnist_files)},
    {.name = "emnist",
     .parts = emnist_parts,
     .title = "EMNIST",
     .about = "handwritten letters and digits",
     IMAGES(697932, 116323),
     SIZE(28, 28, 1),
     .classes = 62,
     .terms = "none stated; cite Cohen et al. 2017",
     .home = "https://www.nist.gov/itl/products-and-services/emnist-dataset",
     FILES(emnist_files)},
    {.name = "cifar10",
     .title = "CIFAR-10",
     .about = "animals and vehicles",
     IMAGES(50000, 10000),
     SIZE(32, 32, 3),
     .classes = 10,
     .terms = "none stated; cite Krizhevsky 2009",
     .home = "https://www.cs.toronto.edu/~kriz/cifar.html",
     FILES(cifar10_files)},
    {.name = "cifar100",
     .title = "CIFAR-100",
     .about = "animals, plants and things",
     IMAGES(50000, 10000),
     SIZE(32, 32, 3),
     .classes = 100,
     .terms = "none stated; cite Krizhevsky 2009",
     .home = "https://www.cs.toronto.edu/~kriz/cifar.html",
     FILES(cifar100_files)},
    {.name = "stl10",
     .title = "STL-10",
     .about = "animals and vehicles",
     .images =
         {[LM_SPLIT_TRAIN] = 5000, [LM_SPLIT_TEST] = 8000, [LM_SPLIT_UNLABELED] = 100000},
     SIZE(96, 96, 3),
     .classes = 10,
     .terms = "none stated, for research; cite Coates et al. 2011",
     .home = "https://cs.stanford.edu/~acoates/stl10/",
     FILES(stl10_files)},
    {.name = "svhn",
     .title = "SVHN",
     .about = "house numbers, cropped digits",
     .images =
         {[LM_SPLIT_TRAIN] = 73257, [LM_SPLIT_TEST] = 26032, [LM_SPLIT_EXTRA] = 531131},
     SIZE(32, 32, 3),
     .classes = 10,
     .terms = "non-commercial use only",
     .home = "http://ufldl.stanford.edu/housenumbers/",
     FILES(svhn_files)},
    {.name = "usps",
     .title = "USPS",
     .about = "handwritten digits from envelopes",
     IMAGES(7291, 2007),
     SIZE(16, 16, 1),
     .classes = 10,
     .terms = "none stated; cite Hull 1994",
     .home = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html",
     FILES(usps_files)},
    {.name = "mnist-m",
     .title = "MNIST-M",
     .about = "digits blended with photographs",
     IMAGES(59001, 9001),
     SIZE(32, 32, 3),
     .classes = 10,
     .terms = "none stated; BSDS500's photographs: non-commercial research",
     .home = "http://yaroslav.ganin.net/",
     .how = "the home page links mnist_m.tar.gz, \"unpacked version of MNIST-M\"",
     FILES(mnist_m_files)},
    {.name = "celeba",
     .title = "CelebA",
     .about = "aligned faces with 40 attributes",
     .images =
         {[LM_SPLIT_TRAIN] = 162770, [LM_SPLIT_VALID] = 19867, [LM_SPLIT_TEST] = 19962},
     SIZE(178, 218, 3),
     .terms = "non-commercial research only, no redistribution",
     .home = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
     .how =
         "agree to the home page's terms; it links Google Drive: Img/ has the archive, "
         "Anno/ the attributes, Eval/ the partition",
     FILES(celeba_files)},
    {.name = "ffhq",
     .title = "Flickr-Faces-HQ",
     .about = "faces",
     .images = {[LM_SPLIT_TRAIN] = 70000},
     SIZE(1024, 1024, 3),
     .terms = "CC BY-NC-SA 4.0 as a set; each photograph has its own licence",
     .home = "https://github.com/NVlabs/ffhq-dataset",
     .how = "the home page's download_ffhq.py fetches images1024x1024/ (89 GB) or "
            "thumbnails128x128/ (2 GB)"},
    {.name = "lsun-church",
     .title = "LSUN church_outdoor",
     .about = "church buildings",
     .images = {[LM_SPLIT_TRAIN] = 126227, [LM_SPLIT_VALID] = 300},
     .channels = 3,
     .terms = "none stated; cite Yu et al. 2015",
     .home = "https://github.com/fyu/lsun",
     FILES(church_files)},
    {.name = "lsun-bedroom",
     .title = "LSUN bedroom",
     .about = "bedrooms",
     .images = {[LM_SPLIT_TRAIN] = 3033042, [LM_SPLIT_VALID] = 300},
     .channels = 3,
     .terms = "none stated; cite Yu et al. 2015",
     .home = "https://github.com/fyu/lsun",
     FILES(bedroom_files)},
    {.name = "lsun",
     .title = "LSUN scenes",
     .about = "ten kinds of rooms and places",
     .images = {[LM_SPLIT_TRAIN] = 9895373, [LM_SPLIT_VALID] = 3000},
     .channels = 3,
     .classes = 10,
     .terms = "none stated; cite Yu et al. 2015",
     .home = "https://github.com/fyu/lsun",
     .how = "every scene is an archive of its own, as "
            "https://dl.yf.io/lsun/scenes/tower_train_lmdb.zip, to be unpacked side by "
            "side; lsun-church and lsun-bedroom can be fetched"},
    {0},
};

static const char *find_part(const lm_known_set *set, const char *name) {
    size_t length = strlen(set->name);
    if (!set->parts || strncmp(name, set->name, length) != 0 || name[length] != '-')
        return NULL;
    for (const char *const *part = set->parts; *part; part++)
        if (strcmp(name + length + 1, *part) == 0) return *part;
    return NULL;
}

const lm_known_set *lm_known_find_part(const char *name, const char **part) {
    for (const lm_known_set *set = lm_known_sets; set->name; set++)
        if ((*part = find_part(set, name))) return set;
    return lm_known_find(name);
}

const lm_known_set *lm_known_find(const char *name) {
    for (const lm_known_set *set = lm_known_sets; set->name; set++)
        if (strcmp(name, set->name) == 0) return set;
    return NULL;
}

int64_t lm_known_images(const lm_known_set *set) {
    int64_t sum = 0;
    for (int i = 0; i < LM_N_SPLITS; i++) sum += set->images[i];
    return sum;
}

int64_t lm_known_bytes(const lm_known_set *set) {
    int64_t sum = 0;
    for (int i = 0; i < set->n_files; i++) sum += set->files[i].bytes;
    return sum;
}
