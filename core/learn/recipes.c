// The built-in recipes. Each objective has one, with the settings that its paper and the public
// frameworks start from, brought to small batches and pictures; all see the same views.
#include "core/learn/recipe.h"

#define SELF_SUPERVISED                                                                            \
    "\"mask_labels\": false, \"optimiser\": {\"kind\": \"sgd\", \"rate\": 0.2, \"decay\": 1e-4, "  \
    "\"warm_up\": 0.05}"
#define SUPERVISED                                                                                 \
    "\"optimiser\": {\"kind\": \"sgd\", \"rate\": 0.15, \"decay\": 5e-4, \"warm_up\": 0.02}"

const ak_named_recipe ak_named_recipes[] = {
    {"default",
     "class proxies on the features, NT-Xent between classes on the projection: what is shipped",
     "{}"},
    {"nt_xent", "SimCLR: every other view of the batch is a negative",
     "{\"objectives\": [{\"name\": \"nt_xent\", \"tau\": 0.2}], " SELF_SUPERVISED "}"},
    {"info_nce", "MoCo v2: a momentum encoder and a queue of keys",
     "{\"objectives\": [{\"name\": \"info_nce\", \"tau\": 0.2}], \"momentum\": {\"start\": 0.99, "
     "\"end\": 0.99, \"queue\": 4096, \"groups\": 4}, " SELF_SUPERVISED "}"},
    {"byol", "BYOL: predicts the momentum encoder's projection, without negatives",
     "{\"objectives\": [{\"name\": \"byol\"}], \"momentum\": {\"start\": 0.99, \"end\": 1, "
     "\"queue\": 0, \"groups\": 1}, " SELF_SUPERVISED "}"},
    {"dcl", "decoupled contrast: the positive is not in the denominator",
     "{\"objectives\": [{\"name\": \"dcl\", \"tau\": 0.2}], " SELF_SUPERVISED "}"},
    {"rince", "robust InfoNCE, for noisy pairs",
     "{\"objectives\": [{\"name\": \"rince\", \"tau\": 0.2, \"q\": 0.2, \"lambda\": "
     "0.01}], " SELF_SUPERVISED "}"},
    {"debiased", "NT-Xent that allows for false negatives",
     "{\"objectives\": [{\"name\": \"debiased\", \"tau\": 0.2, \"prior\": "
     "0.01}], " SELF_SUPERVISED "}"},
    {"siamese", "pairs within a margin",
     "{\"objectives\": [{\"name\": \"siamese\", \"margin\": 1}], " SELF_SUPERVISED "}"},
    {"triplet", "the hardest positive against the hardest negative of the batch",
     "{\"objectives\": [{\"name\": \"triplet\", \"margin\": 0.2}], \"pictures_per_class\": "
     "4, \"optimiser\": {\"kind\": \"sgd\", \"rate\": 0.02, \"decay\": 5e-4, "
     "\"warm_up\": 0.02}}"}, // at 0.15 all pictures become one point
    {"sup_con", "every picture of the class is a positive",
     "{\"objectives\": [{\"name\": \"sup_con\", \"tau\": 0.1}], \"pictures_per_class\": "
     "2, " SUPERVISED "}"},
    {"proxy_softmax", "a learned key for each class",
     "{\"objectives\": [{\"name\": \"proxy_softmax\", \"tau\": 0.05, \"smoothing\": "
     "0.1}], " SUPERVISED "}"},
    {0}};
