// The handlers of the routes. Each runs on a worker (those of health.c and contract.c that are
// marked `at_once` on a network thread) and leads to exactly one ak_request_finish.
#ifndef AK_SERVER_HANDLERS_H
#define AK_SERVER_HANDLERS_H

#include "server/request.h"

// health.c
void ak_handle_livez(ak_request *r);
void ak_handle_readyz(ak_request *r);
// contract.c
void ak_handle_openapi(ak_request *r);
void ak_handle_problem(ak_request *r);
// collections.c
void ak_handle_collections(ak_request *r);
void ak_handle_collection_put(ak_request *r);
void ak_handle_collection_get(ak_request *r);
void ak_handle_collection_patch(ak_request *r);
void ak_handle_collection_delete(ak_request *r);
// ingest.c
void ak_handle_images_post(ak_request *r);
void ak_handle_image_put(ak_request *r);
// images.c
void ak_handle_images(ak_request *r);
void ak_handle_images_check(ak_request *r);
void ak_handle_image_get(ak_request *r);
void ak_handle_image_patch(ak_request *r);
void ak_handle_image_delete(ak_request *r);
void ak_handle_image_vector(ak_request *r);
// thumbnail.c
void ak_handle_image_thumbnail(ak_request *r);
// models.c
void ak_handle_models(ak_request *r);
void ak_handle_models_post(ak_request *r);
void ak_handle_model_get(ak_request *r);
void ak_handle_model_checkpoint(ak_request *r);
void ak_handle_collection_rollback(ak_request *r);
// jobs_api.c
void ak_handle_jobs(ak_request *r);
void ak_handle_job_get(ak_request *r);
void ak_handle_job_cancel(ak_request *r);
void ak_handle_job_report(ak_request *r);
// events.c
void ak_handle_job_events(ak_request *r);
// training_api.c
void ak_handle_training_post(ak_request *r);
void ak_handle_training_runs(ak_request *r);
void ak_handle_training_get(ak_request *r);
void ak_handle_training_cancel(ak_request *r);
// promotion.c
void ak_handle_model_promote(ak_request *r);
// feedback.c
void ak_handle_feedback(ak_request *r);
// search.c
void ak_handle_search(ak_request *r);

#endif
