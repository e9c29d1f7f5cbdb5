/* PNG and JPEG to 8 bit RGB, by the libraries of the distribution. */
#include "tool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_PNG
#include <png.h>
#endif
#ifdef WITH_JPEG
#include <jpeglib.h>
#endif

enum { MOST_EDGE = 16384 };

typedef struct decoded {
    FILE *file;
    const char *path;
    uint8_t *pixels;
    uint32_t height, width;
    jmp_buf back; /* where the decoders' errors go */
    char message[200];
} decoded;

#if defined(WITH_PNG) || defined(WITH_JPEG)
/* Room for the pixels; also checks the size. */
static int take_size(decoded *d, unsigned long width, unsigned long height)
{
    if (width == 0 || height == 0 || width > MOST_EDGE || height > MOST_EDGE)
        return failed("%s: it has %lu x %lu pixels; an edge may have 1 to %d", d->path, width, height, MOST_EDGE);
    d->width = (uint32_t)width;
    d->height = (uint32_t)height;
    d->pixels = malloc((size_t)width * height * 3);
    return d->pixels != NULL ? 0 : failed("%s: no memory for %lu x %lu pixels", d->path, width, height);
}
#endif

#ifdef WITH_PNG
static void png_failed(png_structp png, png_const_charp text)
{
    decoded *d = png_get_error_ptr(png);
    snprintf(d->message, sizeof d->message, "%s", text);
    longjmp(d->back, 1);
}

static void png_warned(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

/* As Pillow's convert("RGB"): palettes and grey levels become colours, 16 bits their upper 8, transparency is dropped. */
static int read_png(decoded *d)
{
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d, png_failed, png_warned);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
    volatile int code = EXIT_FAILED; /* set after setjmp */
    if (info == NULL) {
        (void)failed("%s: no memory to read it", d->path);
    } else if (setjmp(d->back) != 0) {
        (void)failed("%s: the PNG cannot be decoded: %s", d->path, d->message);
    } else {
        png_init_io(png, d->file);
        png_set_user_limits(png, MOST_EDGE, MOST_EDGE);
        png_read_info(png, info);
        if (take_size(d, png_get_image_width(png, info), png_get_image_height(png, info)) == 0) {
            png_set_palette_to_rgb(png);
            png_set_expand_gray_1_2_4_to_8(png);
            png_set_strip_16(png);
            png_set_gray_to_rgb(png);
            png_set_strip_alpha(png);
            const int passes = png_set_interlace_handling(png);
            png_read_update_info(png, info);
            if (png_get_rowbytes(png, info) != (size_t)d->width * 3)
                png_error(png, "its rows do not become RGB");
            for (int pass = 0; pass < passes; pass++)
                for (uint32_t y = 0; y < d->height; y++)
                    png_read_row(png, d->pixels + (size_t)y * d->width * 3, NULL);
            code = 0;
        }
    }
    png_destroy_read_struct(&png, &info, NULL);
    return code;
}
#endif

#ifdef WITH_JPEG
static void jpeg_failed(j_common_ptr common)
{
    decoded *d = common->client_data;
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    snprintf(d->message, sizeof d->message, "%s", text);
    longjmp(d->back, 1);
}

static void jpeg_said(j_common_ptr common, int level)
{
    (void)common;
    (void)level;
}

static int read_jpeg(decoded *d)
{
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    volatile int code = EXIT_FAILED; /* set after setjmp */
    memset(&jpeg, 0, sizeof jpeg);
    jpeg.err = jpeg_std_error(&errors);
    errors.error_exit = jpeg_failed;
    errors.emit_message = jpeg_said;
    jpeg.client_data = d;
    if (setjmp(d->back) != 0) {
        (void)failed("%s: %s", d->path, d->message);
    } else {
        jpeg_create_decompress(&jpeg);
        jpeg_stdio_src(&jpeg, d->file);
        (void)jpeg_read_header(&jpeg, TRUE);
        if (jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK) {
            (void)failed("%s: a JPEG of four inks is not supported (supported: colours and grey levels)", d->path);
        } else if (take_size(d, jpeg.image_width, jpeg.image_height) == 0) {
            jpeg.out_color_space = JCS_RGB;
            (void)jpeg_start_decompress(&jpeg);
            while (jpeg.output_scanline < jpeg.output_height) {
                JSAMPROW row = d->pixels + (size_t)jpeg.output_scanline * d->width * 3;
                (void)jpeg_read_scanlines(&jpeg, &row, 1);
            }
            (void)jpeg_finish_decompress(&jpeg);
            code = 0;
        }
    }
    jpeg_destroy_decompress(&jpeg);
    return code;
}
#endif

static int read_picture(const char *path, decoded *d)
{
    unsigned char head[8] = { 0 };
    int code = EXIT_FAILED;
    memset(d, 0, sizeof *d);
    d->path = path;
    if ((d->file = fopen(path, "rb")) == NULL)
        return failed("%s: %s", path, strerror(errno));
    const size_t n = fread(head, 1, sizeof head, d->file);
    rewind(d->file);
    if (n == 8 && memcmp(head, "\x89PNG\r\n\x1A\n", 8) == 0) {
#ifdef WITH_PNG
        code = read_png(d);
#else
        code = failed("%s: this build reads no PNG (it was made without libpng)", path);
#endif
    } else if (n >= 3 && memcmp(head, "\xFF\xD8\xFF", 3) == 0) {
#ifdef WITH_JPEG
        code = read_jpeg(d);
#else
        code = failed("%s: this build reads no JPEG (it was made without libjpeg)", path);
#endif
    } else {
        (void)failed("%s: it is neither PNG nor JPEG", path);
    }
    fclose(d->file);
    if (code != 0) {
        free(d->pixels);
        d->pixels = NULL;
    }
    return code;
}

static int is_picture(const char *path)
{
    static const char *const tails[] = { ".png", ".PNG", ".jpg", ".JPG", ".jpeg", ".JPEG" };
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
        if (n >= strlen(tails[i]) && strcmp(path + n - strlen(tails[i]), tails[i]) == 0)
            return 1;
    return 0;
}

/* Pictures are decoded in the order of the list and kept until all are encoded. */
int rows_pictures(rows *r, const char *path)
{
    size_t n = 1;
    r->name = path;
    if (!is_picture(path)) {
        if (texts_read(path, &r->text) != 0)
            return EXIT_FAILED;
        n = r->text.count;
    }
    r->pictures = calloc(n + 1, sizeof *r->pictures);
    r->heights = calloc(n + 1, sizeof *r->heights);
    r->widths = calloc(n + 1, sizeof *r->widths);
    if (r->pictures == NULL || r->heights == NULL || r->widths == NULL)
        return failed("no memory for %zu pictures", n);
    for (size_t i = 0; i < n; i++) {
        char name[4096];
        decoded d;
        if (is_picture(path))
            snprintf(name, sizeof name, "%s", path);
        else
            snprintf(name, sizeof name, "%.*s", (int)(r->text.lengths[i] < 4095 ? r->text.lengths[i] : 4095), r->text.at[i]);
        if (read_picture(name, &d) != 0)
            return is_picture(path) ? EXIT_FAILED : failed("%s:%zu: the picture of this line was not read", path, i + 1);
        r->pictures[i] = d.pixels;
        r->heights[i] = d.height;
        r->widths[i] = d.width;
        r->picture_count = i + 1;
    }
    r->input.kind = ECREC_INPUT_PICTURES;
    r->input.count = n;
    r->input.pictures = (const uint8_t *const *)r->pictures;
    r->input.picture_heights = r->heights;
    r->input.picture_widths = r->widths;
    return 0;
}
