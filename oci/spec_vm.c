/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec_field.h"

#include "base/str.h"

/* struct spec_vm is flat: the tables of its sub-objects all have offsets into the whole. */
#define AT(member) offsetof(struct spec_vm, member)

static const struct field hypervisor_rows[] = {
	{ "path", FIELD_STRING, .required = true, .check = field_absolute,
	  .offset = AT(hypervisor_path) },
	{ "parameters", FIELD_STRINGS, .offset = AT(hypervisor_parameters) },
};
static const struct field_table hypervisor_table = { FIELD_TABLE(struct spec_vm, hypervisor_rows) };

static const struct field kernel_rows[] = {
	{ "path", FIELD_STRING, .required = true, .check = field_absolute,
	  .offset = AT(kernel_path) },
	{ "parameters", FIELD_STRINGS, .offset = AT(kernel_parameters) },
	{ "initrd", FIELD_STRING, .check = field_absolute, .offset = AT(initrd) },
};
static const struct field_table kernel_table = { FIELD_TABLE(struct spec_vm, kernel_rows) };

static const char *image_format(const char *s)
{
	static const char *const known[] = { "raw", "qcow2", "vdi", "vmdk", "vhd" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(s, known[i]))
			return NULL;
	return "unknown image format";
}

static const struct field image_rows[] = {
	{ "path", FIELD_STRING, .required = true, .check = field_absolute,
	  .offset = AT(image_path) },
	{ "format", FIELD_STRING, .required = true, .check = image_format,
	  .offset = AT(image_format) },
};
static const struct field_table image_table = { FIELD_TABLE(struct spec_vm, image_rows) };

static const struct field iomem_rows[] = {
	{ "firstGFN", FIELD_OPT_U64, .offset = offsetof(struct spec_iomem, first_gfn) },
	{ "firstMFN", FIELD_U64, .required = true,
	  .offset = offsetof(struct spec_iomem, first_mfn) },
	{ "nrMFNs", FIELD_U64, .required = true, .offset = offsetof(struct spec_iomem, nr_mfns) },
};
static const struct field_table iomem_table = { FIELD_TABLE(struct spec_iomem, iomem_rows) };

static const struct field hw_config_rows[] = {
	{ "deviceTree", FIELD_STRING, .check = field_absolute, .offset = AT(device_tree) },
	{ "vcpus", FIELD_OPT_U64, .min = 1, .max = UINT32_MAX, .offset = AT(vcpus) },
	{ "memory", FIELD_OPT_U64, .min = 1, .offset = AT(memory) },
	{ "dtdevs", FIELD_STRINGS, .offset = AT(dtdevs) },
	{ "iomems", FIELD_LIST, .sub = &iomem_table, .offset = AT(iomems) },
	{ "irqs", FIELD_U32S, .offset = AT(irqs) },
};
static const struct field_table hw_config_table = { FIELD_TABLE(struct spec_vm, hw_config_rows) };

static const struct field vm_rows[] = {
	{ "hypervisor", FIELD_OBJECT, .sub = &hypervisor_table },
	{ "kernel", FIELD_OBJECT, .required = true, .sub = &kernel_table },
	{ "image", FIELD_OBJECT, .sub = &image_table },
	{ "hwConfig", FIELD_OBJECT, .sub = &hw_config_table },
};
const struct field_table spec_vm_table = { FIELD_TABLE(struct spec_vm, vm_rows) };
